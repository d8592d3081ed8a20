# shellcheck shell=bash disable=SC2034
# A site profile, commented. Copy it to NAME.sh here or beside your study, change it, and name it in
# the study:  slurm: {site: NAME}   or   slurm: {site: ./NAME.sh}
# It is read twice: by `mordal submit` for the defaults below, and by every job before it starts,
# so modules and variables that the executables need belong here too.

# Defaults for what the study's slurm section leaves out.
site_account=my-project
site_partition='batch'
# site_qos=normal
site_launcher=mpirun # or srun, where `srun --mpi=list` shows pmix

# More options of sbatch for every job.
# site_extra='--constraint=cpu'

# What the executables need. A job starts with the environment of the shell that submitted it.
# module load openmpi hdf5-parallel openblas
# export LD_LIBRARY_PATH=/path/to/libraries:$LD_LIBRARY_PATH

# HDF5 locks files when it opens them, which some parallel filesystems refuse (errno 11, 37, 38,
# 524). Mordal needs no such locks: results are renamed into place.
# export HDF5_USE_FILE_LOCKING=FALSE

# One of Open MPI's two MPI-IO layers may misbehave on your filesystem; this picks the other.
# export OMPI_MCA_io=romio321
