palette = dict(data='black', generator='#009E73', discriminator='#0072B2')
