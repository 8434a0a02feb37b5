from artcafe.server.domain.recent cimport Recent


cdef class PublishRoute:
    cdef str subject
    cdef readonly tuple receivers
    cdef Py_ssize_t size
    cdef bytes head

    cpdef bytes sized(self, Py_ssize_t size)
    cpdef hear(self, bytes payload)


cdef class PublishRoutes:
    cdef readonly object _interest
    cdef readonly Recent _known

    cpdef PublishRoute of(self, str subject)
