"""The worker host: modules in processes of their own."""
