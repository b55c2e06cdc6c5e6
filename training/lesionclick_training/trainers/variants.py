"""Variants of the trainer, one for each row of the paper's table (arXiv 2508.21680); "more data" is up to the dataset.

`nnunet.variants.Variant` lists their names.
"""
# ruff: noqa: N801, D101  (named as nnU-Net names trainers; each name says all there is to say)

from lesionclick.model.encoding import EDTEncoding, GaussianEncoding, UptakeEncoding
from lesionclick_training.augmentation.draw_clicks import CUSTOM_PROBABILITY
from lesionclick_training.nnunet.trainer import LesionClickTrainer


class LesionClickTrainer_NoClicks(LesionClickTrainer):
    encoding = None


class LesionClickTrainer_Gaussian3(LesionClickTrainer):
    encoding = GaussianEncoding(3.0)


class LesionClickTrainer_Gaussian2(LesionClickTrainer):
    encoding = GaussianEncoding(2.0)


class LesionClickTrainer_Gaussian1(LesionClickTrainer):
    encoding = GaussianEncoding(1.0)


class LesionClickTrainer_Gaussian0p75(LesionClickTrainer):
    encoding = GaussianEncoding(0.75)


class LesionClickTrainer_Gaussian0p5(LesionClickTrainer):
    encoding = GaussianEncoding(0.5)


class LesionClickTrainer_Gaussian0p25(LesionClickTrainer):
    encoding = GaussianEncoding(0.25)


class LesionClickTrainer_Gaussian0p1(LesionClickTrainer):
    encoding = GaussianEncoding(0.1)


class LesionClickTrainer_EDT4(LesionClickTrainer):
    encoding = EDTEncoding(4)


class LesionClickTrainer_EDT3(LesionClickTrainer):
    encoding = EDTEncoding(3)


class LesionClickTrainer_EDT2(LesionClickTrainer):
    encoding = EDTEncoding(2)


class LesionClickTrainer_Uptake12(LesionClickTrainer):
    encoding = UptakeEncoding(12)


class LesionClickTrainer_EDT2_Custom(LesionClickTrainer_EDT2):
    custom_probability = CUSTOM_PROBABILITY
