"Windows in JupyterLab: watch a GAN learn, explore what it has learned, and make films of it"
