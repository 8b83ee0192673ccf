"""A sitemap, where the book's address is known: ``html_baseurl`` in ``conf/_config.yml``.

The same setting gives each page its canonical address, which the theme writes.
"""

from pathlib import Path
from xml.sax.saxutils import escape

from sphinx.application import Sphinx


def sitemap(base: str, pages: list[str]) -> str:
    """The addresses of ``pages``, as crawlers read them.

    >>> print(sitemap("https://example.org/b", ["index"]))
    <?xml version="1.0" encoding="UTF-8"?>
    <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
    <url><loc>https://example.org/b/index.html</loc></url>
    </urlset>
    """
    base = base.rstrip("/")
    urls = "\n".join(f"<url><loc>{escape(f'{base}/{page}.html')}</loc></url>" for page in pages)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>'
    )


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write the sitemap, where the book has an address."""
    if exception is None and app.config.html_baseurl and app.builder.format == "html":
        text = sitemap(app.config.html_baseurl, sorted(app.env.all_docs))
        Path(app.outdir, "sitemap.xml").write_text(f"{text}\n", "utf-8")
