"""What has to fit between entries of the settings: one file for each section."""
