VERSION = "@V@"
