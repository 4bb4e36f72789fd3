"""Make names, addresses and text from a seed, in two languages, with a provider of one's own."""

from faker import Faker
from faker.providers import BaseProvider


class Own(BaseProvider):
    def beast(self):
        return self.random_element(["cat", "dog"])


def exercise():
    fake, german = Faker(), Faker(["de_DE"])
    fake.add_provider(Own)
    fake.seed_instance(7)
    german.seed_instance(7)
    return [
        fake.name(),
        fake.address(),
        german.city(),
        fake.beast(),
        german.company(),
        fake.pydict(2, value_types=[int]),
    ]
