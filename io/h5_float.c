#include "io/h5_float.h"

/* A 16-bit float with so many bits of exponent. */
static hid_t short_float(size_t n_exponent)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    size_t n_fraction = 15 - n_exponent;
    H5Tset_fields(type, 15, n_fraction, n_exponent, 0, n_fraction);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, ((size_t)1 << (n_exponent - 1)) - 1);
    return type;
}

hid_t mdl_h5_float_type(mdl_encoding_t encoding)
{
    switch (encoding) {
    case MDL_FLOAT16:
        return short_float(5);
    case MDL_BFLOAT16:
        return H5Tcopy(H5T_STD_U16LE);
    case MDL_FLOAT32:
        return H5Tcopy(H5T_IEEE_F32LE);
    default:
        return H5Tcopy(H5T_IEEE_F64LE);
    }
}

int mdl_h5_float_encoding(hid_t type, mdl_encoding_t *encoding)
{
    const hid_t known[] = {[MDL_FLOAT16] = short_float(5),
                           [MDL_BFLOAT16] = short_float(8),
                           [MDL_FLOAT32] = H5Tcopy(H5T_IEEE_F32LE),
                           [MDL_FLOAT64] = H5Tcopy(H5T_IEEE_F64LE)};
    int found = 0;
    for (int i = MDL_FLOAT16; i <= MDL_FLOAT64; i++) {
        if (!found && H5Tequal(type, known[i]) > 0) {
            *encoding = (mdl_encoding_t)i;
            found = 1;
        }
        H5Tclose(known[i]);
    }
    return found;
}
