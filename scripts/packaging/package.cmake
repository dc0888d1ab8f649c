# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian package, by CPack: scripts/package. It has what `cmake --install` puts below /usr, and what Debian wants.
set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES OFF)
set(CPACK_PACKAGE_VENDOR peerfs)
set(CPACK_PACKAGE_CONTACT "peerfs maintainers <maintainers@peerfs.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "containers of a pod as directories")
set(CPACK_PACKAGE_DESCRIPTION "peerfs shows every container of a pod, or of a node, as a directory
named after it: its files, unix sockets, environment, mappings and
processes, for the tools of a debug container or of the host. All it
knows comes from /proc.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "kubernetes-client")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/scripts/packaging/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/scripts/packaging/stage.cmake)
if(NOT PEERFS_STATIC)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE amd64)
endif()
include(CPack)
