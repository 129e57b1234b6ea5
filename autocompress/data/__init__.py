"""Images: reading and writing them, MATLAB's bicubic, sets of LR and HR pairs, training patches."""
