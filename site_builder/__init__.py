"""Makes the documentation site: what `mkdocs.yml` calls while `make docs` runs, and the pages that are generated.

The pages in docs/ are written for reading in the repository. Here their links are made to fit the site, and pages are
added that are made from the code: every flag, every recipe, the API. Nothing here imports TensorFlow.
"""
