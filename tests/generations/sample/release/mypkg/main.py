FLAG = __name__ == "__main__"
NAME = __name__
