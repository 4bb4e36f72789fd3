"""Map classes to tables in SQLite in memory and query them."""

from peewee import CharField, ForeignKeyField, IntegrityError, Model, SqliteDatabase, fn

database = SqliteDatabase(":memory:")


class Base(Model):
    class Meta:
        database = database


class Author(Base):
    name = CharField(unique=True)


class Book(Base):
    author = ForeignKeyField(Author, backref="books")
    title = CharField()


def exercise():
    with database:
        database.create_tables([Author, Book])
        ann = Author.create(name="ann")
        Book.insert_many([{"author": ann, "title": "one"}, {"author": ann, "title": "two"}]).execute()
        try:
            with database.atomic():
                Author.create(name="ann")
        except IntegrityError as error:
            refused = type(error).__name__
        query = Author.select(Author.name, fn.COUNT(Book.id).alias("n")).join(Book).group_by(Author)
        return [[row.name, row.n] for row in query] + [[book.title for book in ann.books], refused]
