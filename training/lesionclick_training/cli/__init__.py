"""Command line `lesionclick-train`: one file a group of commands, no logic.

Commands load torch, nnU-Net and the like when they run, so that `--help` answers quickly.
"""
