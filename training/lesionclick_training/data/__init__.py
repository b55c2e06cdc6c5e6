"""Data: public releases and own studies brought into nnU-Net's raw layout."""
