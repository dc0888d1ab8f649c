# CPack runs this between the install and the package: what is only Debian's is added by a shell script.
execute_process(COMMAND sh ${CMAKE_CURRENT_LIST_DIR}/stage ${CPACK_TEMPORARY_DIRECTORY} ${CPACK_PACKAGE_VERSION}
  "${CPACK_PACKAGE_CONTACT}" COMMAND_ERROR_IS_FATAL ANY)
