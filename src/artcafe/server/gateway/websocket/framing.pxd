cpdef bytes frame(bytes payload, int opcode=*)
