"""Trainers that nnU-Net finds by name: the folder of this package is what nnUNet_extTrainer points to.

It holds nothing else, since nnU-Net imports every module of that folder, each as one of no package, to look for the
name. For nnU-Net's own commands:

    export nnUNet_extTrainer=$(python -c "import lesionclick_training.trainers as t; print(*t.__path__)")
    nnUNetv2_train DATASET 3d_fullres FOLD -tr LesionClickTrainer_EDT2_Custom -p PLANS
"""
