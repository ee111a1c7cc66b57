"""The card template; `hf_medreport.hub.card` fills it from an evaluation's JSON."""
