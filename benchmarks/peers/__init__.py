"""The same work, done by pymilk and by whatever else is installed that moves arrays between processes.

    python -m benchmarks.peers [--quick] [--output DIR] [--only KEY,KEY] [--skip-plots]

Run it from the checkout. `peer` states what an adapter offers, `adapters` has one file for each peer,
`measure` does the work, `goals` compares it with the figures to reach, `report` writes the page and plots.
"""
