"""The command line `lesionclick-train`: one file a group of commands, no logic."""
