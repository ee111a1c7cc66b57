"""By which endings slides and feature files are known among other files. What a file is, its content decides."""

SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide", ".vms", ".vmu")
PYRAMID_SUFFIXES = (*SLIDE_SUFFIXES, ".tif", ".tiff", ".dcm")  # which may also be a plain picture or a film
FEATURE_SUFFIXES = (".safetensors", ".pt", ".h5")
