"""How a run goes through its cases: `case_order` numbers them, `judging` tries them one after the other, and `jobs` and
`job` are the two sides of processes that take them in turn."""
