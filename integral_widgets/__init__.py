"""ipywidgets and Bokeh front end of integral_oda."""
