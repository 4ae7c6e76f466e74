"""What several classifiers share, and what compiled code shares with the renderer and descriptors.

Base learners for single-label problems (`bases`, over the trees of `c45`), neighbours, k-means,
support vector machines, scaling and checks of the input, threads, and the compiler of kernels. What
one method alone needs stands in that method's file.
"""
