"""Google's Gemini API: generateContent and streamGenerateContent, on AI Studio and on Vertex AI."""
