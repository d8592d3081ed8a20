# Spack package of Mordal: spack repo create, put this under packages/mordal/, spack install mordal.
from spack.package import *


class Mordal(CMakePackage):
    """Finds the best vision encoder and language model for a vision language model."""

    license("Apache-2.0")

    version("main", branch="main")

    variant("scalapack", default=True, description="Build the measures beside CKA")
    variant("docs", default=True, description="Build the man pages")

    depends_on("c", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("scdoc", type="build", when="+docs")
    depends_on("mpi")
    depends_on("hdf5@1.10.8:+mpi")
    depends_on("openblas")
    depends_on("netlib-scalapack", when="+scalapack")
    depends_on("libpng")
    depends_on("libjpeg-turbo")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("cminpack")
    depends_on("xxhash")
    depends_on("random123", type="build")

    generator("ninja")

    def cmake_args(self):
        return [
            self.define("MORDAL_ENABLE_TESTS", False),
            self.define_from_variant("MORDAL_ENABLE_DOCS", "docs"),
            self.define_from_variant("MORDAL_ENABLE_SCALAPACK", "scalapack"),
        ]
