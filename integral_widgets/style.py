"""The page's style sheet, in JupyterLab's own colours so that light and dark themes both work."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """<style>
.oda-page { max-width: 1280px; margin: 0 auto; color: var(--jp-ui-font-color1, #222); }
.oda-page h1 { font-size: 20px; margin: 4px 0 2px 0; }
.oda-page h2 { font-size: 15px; margin: 12px 0 2px 0; }
.oda-body { display: flex; flex-flow: row wrap; align-items: flex-start; }
.oda-form { flex: 0 0 340px; padding-right: 18px; }
.oda-actions { align-items: center; padding-bottom: 4px; border-bottom: 1px solid var(--jp-border-color2, #bbb); }
.oda-empty { line-height: 1.5; padding: 12px 16px; margin: 8px 2px; white-space: normal; border-radius: 4px;
  border: 1px solid var(--jp-border-color2, #bbb); background: var(--jp-layout-color1, #f6f6f6); }
.oda-page button:focus-visible, .oda-page input:focus-visible, .oda-page select:focus-visible,
.oda-page textarea:focus-visible, .oda-page a:focus-visible, .oda-page summary:focus-visible {
  outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
@media (max-width: 1000px) { .oda-form { flex: 1 1 100%; padding-right: 0; } .oda-results { flex: 1 1 100%; } }
.oda-form h2 { line-height: 1.4; }
.oda-field .widget-html, .oda-field .jupyter-widget-html { line-height: 1.3; height: auto;
  min-height: 0; margin: 2px 2px 0 2px; }
.oda-results { flex: 1 1 440px; min-width: 0; }
.oda-pair > .oda-field { flex: 1 1 0; min-width: 0; }
.oda-field .widget-text, .oda-field .widget-textarea, .oda-field .widget-dropdown { flex-direction: column;
  align-items: stretch; height: auto; }
.oda-field .widget-text > input, .oda-field .widget-dropdown > select { flex: 0 0 auto; width: 100%;
  height: var(--jp-widgets-inline-height, 28px); }
.oda-hint { font-size: 12px; opacity: 0.85; line-height: 1.3; display: block; margin: -4px 0 2px 20px;
  white-space: normal; }
.oda-field .widget-label { text-align: left; margin: 2px 2px 0 2px; height: auto; }
.oda-quiet > label.widget-label, .oda-quiet.widget-checkbox span { position: absolute; width: 1px; height: 1px;
  overflow: hidden; clip-path: inset(50%); }
.oda-field label { font-size: 12px; white-space: nowrap; line-height: 1.4; font-weight: 600;
  display: block; overflow: hidden; text-overflow: ellipsis; }
.oda-error, .oda-error li { color: var(--jp-error-color0, #b71c1c); font-weight: 600; overflow-wrap: anywhere;
  white-space: normal; line-height: 1.3; display: inline-block; }
[data-jp-theme-light="false"] .oda-page a.oda-download { color: #7ab8ff; }
[data-jp-theme-light="false"] .oda-error, [data-jp-theme-light="false"] .oda-error li { color: #ff8a80; }
[data-jp-theme-light="false"] .oda-page { --bk-border-fill-color: var(--jp-layout-color1, #212121);
  --bk-background-fill-color: var(--jp-layout-color1, #212121);
  --bk-text-color: #f0f0f0; --bk-title-text-color: #e0e0e0;
  --bk-axis-label-text-color: #e0e0e0; --bk-major-label-text-color: #d6d6d6; --bk-label-text-color: #e0e0e0;
  --bk-axis-line-color: #9a9a9a; --bk-major-tick-line-color: #9a9a9a; --bk-minor-tick-line-color: #9a9a9a;
  --bk-grid-line-color: #3a3a3a; --bk-outline-line-color: #4a4a4a; --icon-color: #b8bcc0;
  --bokeh-icon-color: #b8bcc0; }
.oda-fold { margin: 4px 0; }
.oda-page .oda-fold-title { text-align: left; font-weight: 600; white-space: nowrap; }
.oda-note { line-height: 1.4; overflow-wrap: anywhere; }
.oda-lost { background: #b71c1c; color: #fff; font-weight: 600; padding: 0 10px; border-radius: 4px; }
.oda-simulated { display: block; background: #ffe08a; color: #3b2a00; padding: 6px 10px; border-radius: 4px;
  font-weight: 600; }
.oda-matrix { border-collapse: collapse; font-size: 12px; margin-top: 4px; }
.oda-matrix th { font-weight: 500; padding: 1px 6px; text-align: left; }
.oda-matrix td { min-width: 34px; text-align: center; border: 1px solid var(--jp-border-color2, #ccc); color: #111; }
.oda-queued { background: #e4e4e4; } .oda-running { background: #8ec5ff; } .oda-computed { background: #9be09b; }
.oda-restored { background: #bde6e0; } .oda-failed { background: #ff9d94; }
.oda-results .widget-html { max-width: 100%; }
.oda-results .widget-html-content { min-width: 0; }
.oda-wide { overflow-x: auto; max-width: 100%; }
.oda-sources { border-collapse: collapse; font-size: 13px; }
.oda-sources th, .oda-sources td { padding: 1px 8px; text-align: right; line-height: 1.5;
  border-bottom: 1px solid #8884; }
.oda-sources th:first-child, .oda-sources td:first-child { text-align: left; }
[data-jp-theme-light="false"] .oda-sources tr.oda-new td:first-child { color: #ff9df8; }
.oda-sources tr.oda-new td:first-child { color: #b000a8; font-weight: 600; }
.oda-page a.oda-download { color: var(--jp-content-link-color, #0b5cad); text-decoration: underline; }
.oda-page .oda-lost a.oda-download { color: #fff; }
.oda-downloads > * { margin-right: 18px; }
.oda-log summary, .oda-ghosts summary, .oda-provenance summary { cursor: pointer; line-height: 1.5; }
.oda-log pre { max-height: 180px; overflow: auto; font-size: 11px; line-height: 1.35; white-space: pre-wrap; }
.oda-provenance { border-collapse: collapse; font-size: 12px; }
.oda-provenance th, .oda-provenance td { padding: 1px 8px; text-align: left; vertical-align: top; line-height: 1.4;
  border-bottom: 1px solid #8884; max-width: 340px; overflow-wrap: anywhere; white-space: normal; }
.oda-flag { background: #b000a8; color: #fff; border-radius: 3px; padding: 0 5px; font-weight: 600; }
.oda-history-list select { font-family: var(--jp-code-font-family, monospace); font-size: 12px; }
.oda-page .oda-code { font-family: var(--jp-code-font-family, monospace); white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: 12px; line-height: 1.4; margin: 4px 0; }
.oda-size { opacity: 0.75; }
</style>"""
