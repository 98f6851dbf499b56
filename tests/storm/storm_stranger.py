"""A stranger's defects: loaded by name, as ``--load`` does."""

from shadowmig.testing.storm import Candidate, Defect, Place, register


class Shouts(Candidate):
    """Spoils what the cache gets."""

    def cached(self, change, row):
        return {**super().cached(change, row), "body": row["body"].upper()}


register(Defect("shouts", "The cache has capitals.", Shouts, [Place("cache", "$.body", "changed")]))
register(Defect("whispers", "Nothing is wrong.", Candidate, [Place("cache", "$.body", "changed")]))
