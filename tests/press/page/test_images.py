"""Pictures of the gallery say how large they are."""

from press.page import images

PNG = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d4948445200000190000000f0")


def test_pictures_have_a_size(tmp_path):
    """A figure and a thumbnail get theirs; what is sized, or of somebody else, is as it was."""
    for name in ("sphx_glr_plot_a_001.png", "sphx_glr_plot_a_thumb.png"):
        (tmp_path / name).write_bytes(PNG)
    figure = '<img src="../_images/sphx_glr_plot_a_001.png" alt="x"/>'
    thumb = '<img alt="" src="../_images/sphx_glr_plot_a_thumb.png" />'
    sized = '<img src="../_images/sphx_glr_plot_a_001.png" width="3"/>'
    others = '<img src="../_images/else.png"/><img src="../_images/sphx_glr_plot_b_001.png"/>'
    assert images.sized(figure, tmp_path) == figure.replace(
        "<img ", '<img width="400" height="240" '
    )
    assert images.sized(thumb, tmp_path) == thumb.replace(
        "<img ", '<img width="400" height="240" loading="lazy" '
    )
    assert images.sized(sized + others, tmp_path) == sized + others
