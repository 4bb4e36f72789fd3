"""`python -m hostcore` is the same as `hostcore`."""

from hostcore.cli import main

if __name__ == "__main__":
    main()
