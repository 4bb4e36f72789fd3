/* One source, two extension modules: with MULTI multi-phase initialisation, else single-phase.
   ver() asks for mypkg from C, so it shows whose copy C code is given. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
ver(PyObject *self, PyObject *args)
{
    PyObject *module = PyImport_ImportModule("mypkg");
    if (!module) {
        return NULL;
    }
    PyObject *version = PyObject_GetAttrString(module, "VERSION");
    Py_DECREF(module);
    return version;
}

static PyMethodDef methods[] = {{"ver", ver, METH_NOARGS, ""}, {0}};

#ifdef MULTI
static int
fill(PyObject *module)
{
    return PyModule_AddIntConstant(module, "N", 7);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, NAME, "", 0, methods, slots};

PyMODINIT_FUNC
INIT(void)
{
    return PyModuleDef_Init(&definition);
}
#else
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, NAME, "", -1, methods};

PyMODINIT_FUNC
INIT(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module) {
        PyModule_AddIntConstant(module, "N", 7);
    }
    return module;
}
#endif
