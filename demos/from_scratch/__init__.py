"""The language model of WildML's tutorial in NumPy, its code on the page as it runs."""
