"""Configure settings, render a template, validate a form, and store a model in SQLite in memory."""

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    ROOT_URLCONF="wrapped.exercise",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup()

from asgiref.sync import SyncToAsync, sync_to_async  # noqa: E402 - only once it is set up
from django import forms  # noqa: E402 - only once it is set up
from django.db import connection, models  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from django.urls import path, resolve  # noqa: E402


class Item(models.Model):
    name = models.CharField(max_length=10)

    class Meta:
        app_label = "wrapped"


class Form(forms.Form):
    age = forms.IntegerField(min_value=0)


def view(request, number):
    return JsonResponse({"number": number + 1})


urlpatterns = [path("item/<int:number>", view)]


def close():
    """Stop the thread that synchronous code ran in: it keeps the connection that it opened."""
    SyncToAsync.single_thread_executor.shutdown()


@sync_to_async
def exercise():
    text = Template("{% for x in xs %}{{ x|upper }} {% endfor %}").render(Context({"xs": ["a", "<"]}))
    form = Form({"age": "-1"})
    errors = {name: [str(e["message"]) for e in found] for name, found in form.errors.get_json_data().items()}
    request = RequestFactory().get("/item/4")
    match = resolve(request.path)
    answer = match.func(request, **match.kwargs).content.decode()
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create([Item(name="b"), Item(name="a")])
    names = list(Item.objects.order_by("name").values_list("name", flat=True))
    with connection.schema_editor() as editor:
        editor.delete_model(Item)
    connection.close()
    return [text.split(), errors, answer, names]
