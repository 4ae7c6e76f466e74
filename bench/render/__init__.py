"""The renderer of faces behind the embedded datasets, and the layouts that they are written in.

From emotions to pixels: `action_units` moves the parts of a face, `rendering` draws who is seen and
under which conditions, `face_painter` paints one face with the shapes of `drawing`, `shift` changes
the domain. `annotators` votes on what is shown; `layouts` writes the result as a dataset on disk.
"""
