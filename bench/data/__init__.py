"""Data on its way from files to methods: reading, checking, mapping, dividing and aligning.

Datasets read their files through `text`, `images`, `typed` and `marker`; `predominant`,
`duplicates` and `mapping` change what they hold; `protocols` divides it into parts, `prepare` gives
a method the images that it takes. `landmarks`, `alignment` and `align_folder` make aligned faces
of photographs.
"""
