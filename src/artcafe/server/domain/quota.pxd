cdef class Quota:
    cdef object __weakref__
    cdef readonly Py_ssize_t left
    cdef readonly Py_ssize_t taken

    cpdef set(self, Py_ssize_t left)
    cpdef take(self)
