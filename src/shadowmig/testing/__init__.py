"""
The kit for people who test their own migration.

`shadowmig.testing.never_harm` tries comparators, samplers and sinks; `shadowmig.testing.servers` starts real servers.
Neither is loaded before it is asked for.
"""
