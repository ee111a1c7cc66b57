"""RadScribe: MedViLL, an encoder of film and labels, before a T5 decoder; and MedViLL alone."""
