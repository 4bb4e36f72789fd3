import sys
import types

m = types.ModuleType("mypkg.virtual")
m.VERSION = "@V@"
sys.modules["mypkg.virtual"] = m
