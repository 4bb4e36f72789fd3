WHO = "host"
