from artcafe.server.gateway.letter cimport Letter
from artcafe.wire.frames cimport require_once, splice


cdef class Plain:
    cpdef read(self, bytes message)
    cpdef bytes message(self, tenant, str subject, str sender, Letter letter)
