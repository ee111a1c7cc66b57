"""Layer-wise anatomical attention: a frontal film -> its report; and the segmenter of lungs and heart inside it."""
