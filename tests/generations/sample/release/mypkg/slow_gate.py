import threading

entered = threading.Event()
release = threading.Event()
