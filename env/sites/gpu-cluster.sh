# shellcheck shell=bash disable=SC2034
# A generic GPU cluster: four GPUs and one rank for each GPU on a node, ranks started by srun.
# The study says how many:  slurm: {site: gpu-cluster, gpus_per_node: 4, tasks_per_node: 4}
site_partition=gpu
site_launcher=srun
# Every rank sees all GPUs of its node and takes the one of its rank on the node. Don't add
# --gpus-per-task: it hides the others, which breaks transfers between ranks.
site_extra='--gpu-bind=none'
export HDF5_USE_FILE_LOCKING=FALSE
