raise SystemExit("mypkg.quits wants to leave")
