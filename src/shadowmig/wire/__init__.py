"""What crosses from one language to another: codecs."""
