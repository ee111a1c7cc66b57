"""How the pages look: fonts of the system, so that none is fetched, and colors whose contrast suffices."""

import gradio as gr

__all__ = ["theme"]

SYSTEM_FONTS = ["system-ui", "sans-serif"]


def theme() -> gr.themes.Base:
    """The theme of all pages."""
    base = gr.themes.Default(primary_hue="blue", font=SYSTEM_FONTS, font_mono=["ui-monospace", "monospace"])
    return base.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )
