"""The kit for people who test their own migration; `shadowmig.testing.servers` starts real servers."""
