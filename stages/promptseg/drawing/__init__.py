"""How the built-in samples are drawn: a folder for each dataset, and the textures they share; numpy and cv2 only."""
